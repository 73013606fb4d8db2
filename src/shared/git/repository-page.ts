/** A page of a host's web site, and the repository that it is about. */
export interface RepositoryPage {
  /** The address of the repository, as git takes it. */
  repository: string;
  /** What the page shows: "a branch", "a pull request". */
  shows: string;
  /** What comes behind the word for a branch: its name, which a path in it may follow. */
  branch?: string;
}

/** Words behind owner and name with which hosts begin the paths of their pages, and what these show. */
const PAGES: Record<string, string> = {
  tree: "a branch or folder",
  branch: "a branch",
  src: "a branch, folder or file",
  blob: "a file",
  raw: "a file",
  blame: "a file",
  edit: "a file",
  pull: "a pull request",
  pulls: "pull requests",
  "pull-requests": "a pull request",
  merge_requests: "a merge request",
  issues: "an issue",
  work_items: "an issue",
  commit: "a commit",
  commits: "commits",
  compare: "a comparison",
  releases: "a release",
  tags: "tags",
  branches: "branches",
  actions: "a build",
  pipelines: "a build",
  wiki: "a wiki",
  discussions: "a discussion",
  settings: "settings",
};
/** Those that have a branch in the next part of the path. */
const WITH_BRANCH = ["tree", "branch", "src", "blob", "raw", "blame", "edit", "commits"];
/** Hosts whose repositories always are owner/name: whatever has more parts is a page. */
const TWO_PARTS = /^(?:www\.)?(?:github\.com|bitbucket\.org|codeberg\.org)$/i;

/**
 * Recognises an https address that was copied from a browser and is a page about a repository, not the repository.
 * Undefined for everything else, and for one with a user or password: nothing of it may be repeated.
 */
export function findRepositoryPage(address: string): RepositoryPage | undefined {
  const [, origin, host, tail = ""] = /^(https?:\/\/([a-z0-9.-]+(?::\d+)?))\/([^?#\s]*)/i.exec(address) ?? [];
  if (!origin || !host) return undefined;
  const parts = tail.split("/").filter((part) => part !== "");
  // GitLab has groups in groups, and puts a dash between a repository and its pages.
  const dash = parts.indexOf("-");
  const length = dash >= 2 ? dash : 2;
  const rest = parts.slice(dash >= 2 ? dash + 1 : 2);
  const [word = "", next] = rest;
  const isPage = dash >= 2 || TWO_PARTS.test(host) ? rest.length > 0 : next !== undefined && isPageOf(rest);
  if (!isPage || /\.git$/.test(parts.at(-1) ?? "")) return undefined;
  const repository = `${origin}/${parts.slice(0, length).join("/")}`;
  // Gitea and Forgejo: src/branch/<name>.
  const behind = word === "src" && next === "branch" ? rest.slice(2) : rest.slice(1);
  const named = WITH_BRANCH.includes(word) ? behind : [];
  // The last part of a file's address is the file.
  const branch = (["blob", "raw", "blame", "edit"].includes(word) ? named.slice(0, 1) : named).join("/");
  return { repository, shows: PAGES[word] ?? "a page", ...(branch && { branch: decode(branch) }) };
}

/** On a host that is not known, a group may be called as pages are elsewhere, so only what can hardly be one counts. */
function isPageOf([word = "", next = ""]: string[]): boolean {
  if (["tree", "blob", "raw", "blame", "commit"].includes(word)) return true;
  if (word === "src") return ["branch", "tag", "commit"].includes(next);
  return Object.hasOwn(PAGES, word) && /^\d+$/.test(next);
}

/** What the person is told in place of going on with it. */
export function describeRepositoryPage({ repository, shows, branch }: RepositoryPage): string {
  const where =
    branch === undefined
      ? ""
      : `, with git_branch "${branch}"${branch.includes("/") ? " (or only the beginning of that, where a folder follows the branch)" : ""}`;
  const about = /request|issue|discussion/.test(shows)
    ? " Put what the page is about into the message, and the branch into git_branch."
    : "";
  return `The repository address is a page that shows ${shows}, which git cannot clone. The repository is ${repository}${where}.${about}`;
}

/** As people write it, unless that would bring in what cannot be seen. */
function decode(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    return /[\p{C}\p{Z}"]/u.test(plain) ? text : plain;
  } catch {
    return text;
  }
}
