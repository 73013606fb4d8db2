import * as z from "zod";
import { secretSettings } from "./secret-settings.js";
import { setting } from "./setting.js";
import { serviceAddress } from "./values.js";

/** GitHub. */
export const githubSettings = {
  github: setting(z.enum(["auto", "off"]).default("auto"), {
    variable: "GITHUB",
    about:
      "`auto`: GitHub is asked where there is a token, `GITHUB_TOKEN` or that of `gh`; `serve` never takes that of `gh`. `off`: never.",
    bounds: "`auto` or `off`",
  }),
  ...secretSettings("githubToken", {
    variable: "GITHUB_TOKEN",
    about: "Token of GitHub: issues as tasks, repositories as choices. Else that of `gh`.",
    bounds: "printable characters without spaces",
  }),
  githubUrl: setting(serviceAddress.default("https://api.github.com"), {
    variable: "GITHUB_URL",
    about: "Address of GitHub's API; of GitHub Enterprise Server `https://HOST/api/v3`.",
    bounds: "https; http on this machine only",
  }),
};
