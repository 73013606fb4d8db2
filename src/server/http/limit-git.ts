import type { Git } from "../../shared/git/git.js";
import { checkRepositoryUrl } from "../../shared/git/repository-address.js";

/**
 * Git for a server that others reach: it looks at no folder of its machine, and at repositories of the listed hosts
 * only. Otherwise a caller could have it fetch from whatever is reachable from where it stands.
 * @param hosts host names, without a port; with one in the address, that port must be the scheme's own
 */
export function limitGit(git: Git, hosts: readonly string[]): Git {
  const isAllowed = limitHosts(hosts);
  return {
    describeFolder: async () => undefined,
    findPushAddress: async () => undefined,
    findRepository: async () => ({ kind: "unknown" }),
    listBranches: async (repositoryUrl, signal) =>
      isAllowed(repositoryUrl) ? git.listBranches(repositoryUrl, signal) : undefined,
    findBranch: async (repositoryUrl, name, signal) =>
      isAllowed(repositoryUrl) ? git.findBranch(repositoryUrl, name, signal) : undefined,
  };
}

/** The same for whoever asks git otherwise: whether a repository is at one of the listed hosts. */
export function limitHosts(hosts: readonly string[]): (repositoryUrl: string) => boolean {
  const allowed = new Set(hosts.map((host) => host.toLowerCase()));
  return (repositoryUrl) => allowed.has(hostOf(repositoryUrl) ?? "");
}

/** For git's environment: a listed host must not send it on to one that is not listed. */
export const NO_REDIRECTS = {
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "http.followRedirects",
  GIT_CONFIG_VALUE_0: "false",
};

/** The host of a repository's address, in lower case; undefined when the address is none or names another port. */
function hostOf(address: string): string | undefined {
  const checked = checkRepositoryUrl(address);
  if (!checked.ok) return undefined;
  const { value, kind } = checked;
  if (!value.includes("://")) return /^[^@]+@([^:]+):/.exec(value)?.[1]?.toLowerCase();
  if (!URL.canParse(value)) return undefined;
  const { hostname, port } = new URL(value);
  return port === "" || (kind === "ssh" && port === "22") ? hostname.toLowerCase() : undefined;
}
