import * as z from "zod";
import { secretSettings } from "./secret-settings.js";
import { setting } from "./setting.js";
import { forgeList, serviceAddress } from "./values.js";

/** GitHub, and pull requests at other hosts. */
export const githubSettings = {
  github: setting(z.enum(["auto", "off"]).default("auto"), {
    variable: "GITHUB",
    about:
      "`auto`: GitHub is asked where there is a token, `GITHUB_TOKEN` or that of `gh`; `serve` never takes that of `gh`. `off`: never.",
    bounds: "`auto` or `off`",
    forEngine: true,
  }),
  ...secretSettings("githubToken", {
    variable: "GITHUB_TOKEN",
    about: "Token of GitHub: issues as tasks, repositories as choices, pull requests. Else that of `gh`.",
    bounds: "printable characters without spaces",
    forEngine: true,
  }),
  githubUrl: setting(serviceAddress.default("https://api.github.com"), {
    variable: "GITHUB_URL",
    about: "Address of GitHub's API; of GitHub Enterprise Server `https://HOST/api/v3`.",
    bounds: "https; http on this machine only",
    forEngine: true,
  }),
  pullRequests: setting(z.enum(["draft", "ready"]).default("draft"), {
    variable: "PULL_REQUESTS",
    about: "How `finish: pull_request` opens pull requests: as drafts, or ready for review.",
    bounds: "`draft` or `ready`",
    forEngine: true,
  }),
  watchPullRequests: setting(z.enum(["off", "on"]).default("off"), {
    variable: "WATCH_PULL_REQUESTS",
    about:
      "Engine: whether failed checks, and what members of the repository want in reviews, start paid runs of a pull request's session by themselves: at most three, and one for a commit. Only at GitHub.",
    bounds: "`off` or `on`",
    forEngine: true,
  }),
  forges: setting(forgeList.optional(), {
    variable: "FORGES",
    about:
      "Which hosts are GitLab or Gitea (Forgejo), whose merge requests are opened by push options. Known without: `gitlab.com`, `codeberg.org`, `gitea.com`, and hosts whose name begins with `gitlab.`, `gitea.` or `forgejo.`.",
    bounds: "`host=gitlab` or `host=gitea`, separated by commas",
    forEngine: true,
  }),
};
