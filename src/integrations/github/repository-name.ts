/** A repository at GitHub, or at a GitHub Enterprise Server. */
export interface RepositoryName {
  owner: string;
  name: string;
}

/** An issue that was named as a task. */
export interface IssueReference {
  /** Missing for `#12`, which means the repository that is worked on. */
  repository?: RepositoryName;
  number: number;
}

/** GitHub's own rules: letters, digits and single dashes; names of repositories have dots and underscores, too. */
const OWNER = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})";
const NAME = "[A-Za-z0-9._-]{1,100}";
const NUMBER = "[1-9][0-9]{0,8}";
const FULL_NAME = new RegExp(`^(${OWNER})/(${NAME})$`);
const SHORT_REFERENCE = new RegExp(`^(${OWNER}/${NAME})?#(${NUMBER})$`);
const PAGE = new RegExp(
  `^https?://([a-z0-9.-]+(?::\\d+)?)/(${OWNER}/${NAME})/(?:issues|pull)/(${NUMBER})/?(?:[?#]\\S*)?$`,
  "i",
);
/** What people write in front of an issue: nothing that would change what is asked for. */
const LEAD =
  /^(?:(?:please )?(?:fix|fixes|implement|resolve|solve|do|close|work on|take)[ :]+)?(?:(?:the )?(?:github )?issue[ :]+)?/i;

/** `owner/name` in its parts; undefined for anything else, as for a name that is a step in a path. */
export function readFullName(text: string): RepositoryName | undefined {
  const [, owner, whole = ""] = FULL_NAME.exec(text) ?? [];
  const name = whole.replace(/\.git$/, "");
  return owner && !/^\.*$/.test(name) ? { owner, name } : undefined;
}

/** The `owner/name` that GitHub calls it by. */
export function fullName({ owner, name }: RepositoryName): string {
  return `${owner}/${name}`;
}

/**
 * The repository behind an address that git takes.
 * @param webHost the host of GitHub's pages, with its port where it has one: `github.com`
 * @returns undefined for an address of another host
 */
export function repositoryOf(address: string, webHost: string): RepositoryName | undefined {
  const [, host, path] =
    /^(?:https?|ssh):\/\/(?:[^/@]*@)?([^/]+)\/(.+)$/i.exec(address) ??
    /^[^/@:]+@([^/:]+):(.+)$/.exec(address) ??
    [];
  if (!host || !path) return undefined;
  const isHere =
    bareHost(host) === bareHost(webHost) || host.toLowerCase() === `ssh.${webHost}`.toLowerCase();
  return isHere ? readFullName(path.replace(/^\/+|\/+$/g, "").replace(/\.git$/, "")) : undefined;
}

/** A port is where ssh or a proxy listens, not another host. */
function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^www\./, "")
    .replace(/:\d+$/, "");
}

/**
 * The issue that a message is about: one whose first line is `#12`, `owner/name#12` or the address of an issue's page, also
 * behind "fix", "implement issue" and the like. An issue that is only mentioned is none.
 * @returns `words`: what the person has written below it
 */
export function findIssueReference(
  message: string,
  webHost: string,
): { reference: IssueReference; words: string } | undefined {
  const [line = "", ...others] = message.trim().split("\n");
  const rest = line.trim().replace(LEAD, "").replace(/[.!]$/, "");
  const words = others.join("\n").trim();
  const [, short, ofShort] = SHORT_REFERENCE.exec(rest) ?? [];
  const [, host = "", page, ofPage] = PAGE.exec(rest) ?? [];
  const isElsewhere = page !== undefined && bareHost(host) !== bareHost(webHost);
  const number = Number(ofShort ?? ofPage);
  if (!number || isElsewhere) return undefined;
  const named = short ?? page;
  const repository = named === undefined ? undefined : readFullName(named);
  if (named !== undefined && !repository) return undefined;
  return { reference: { number, ...(repository ? { repository } : {}) }, words };
}

/**
 * Where GitHub's pages are, by the address of its API: `https://api.github.com` belongs to `github.com`,
 * `https://HOST/api/v3` to HOST.
 */
export function webHostOf(apiUrl: string): string {
  const { host } = new URL(apiUrl);
  return host === "api.github.com" ? "github.com" : host;
}
