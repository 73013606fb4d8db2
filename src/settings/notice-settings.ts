import * as z from "zod";
import { hasAddress, readNotify } from "./notify.js";
import { setting } from "./setting.js";

const notifyList = z.string().transform((text, context) => {
  if (readNotify(text)) return text;
  context.addIssue({ code: "custom", message: "has a part that is no way to be told" });
  return z.NEVER;
});

/** How a person is told of a run that no call follows. */
export const noticeSettings = {
  notify: setting(notifyList.default("auto"), {
    variable: "NOTIFY",
    about:
      "Notification when a run or plan has ended, needs you or is near its limit, and no call follows it. `auto`: by `NOTIFY_COMMAND` where it is set, else on the desktop where there is one; `desktop`: on the desktop, and by the command where it is set; `slack`, `discord`, `ntfy`, `webhook`: by that service; `off`: none. `serve` gives none, but where servers share a `DATABASE`: then by the command and services. See docs/notifications.md.",
    bounds:
      "`off`, or a list of `auto`, `desktop`, `slack`, `discord`, `ntfy`, `webhook` and addresses; an address is a secret, so not as a flag",
    secret: hasAddress,
    forEngine: true,
  }),
  notifyCommand: setting(z.string().min(1).optional(), {
    variable: "NOTIFY_COMMAND",
    about:
      "Command that gives a notification, with the event as JSON on its stdin. Default: none. See docs/notifications.md.",
    bounds: "a line for the shell (`sh`, on Windows `cmd`)",
    secret: true,
    forEngine: true,
  }),
};
