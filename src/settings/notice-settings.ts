import * as z from "zod";
import { setting } from "./setting.js";

/** How a person is told of a run that no call follows. */
export const noticeSettings = {
  notify: setting(z.enum(["auto", "desktop", "off"]).default("auto"), {
    variable: "NOTIFY",
    about:
      "Notification when a run has ended or needs you and no call follows it. `auto`: by `NOTIFY_COMMAND` where it is set, else on the desktop where there is one; `desktop`: on the desktop, and by the command where it is set; `off`: none. `serve` gives none, but by `NOTIFY_COMMAND` where servers share a `DATABASE`.",
    bounds: "`auto`, `desktop` or `off`",
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
