/** The services that a person can be told by. */
export const NOTIFY_SERVICES = ["slack", "discord", "ntfy", "webhook"] as const;
export type NotifyService = (typeof NOTIFY_SERVICES)[number];

/** One of the ways in NOTIFY. */
export type NotifyWay =
  | { kind: "auto" | "desktop" }
  /** The address is a secret; without one it is that of the service's own setting. */
  | { kind: NotifyService; address?: string };

const HOSTS: readonly [NotifyService, RegExp][] = [
  ["slack", /^https:\/\/hooks\.slack(?:-gov)?\.com\//],
  ["discord", /^https:\/\/(?:\w+\.)?discord(?:app)?\.com\/api\/webhooks\//],
  ["ntfy", /^https:\/\/ntfy\.sh\//],
];

/**
 * The ways in a list of them, separated by commas or blanks: `auto`, `desktop`, the name of a service, or an address. An
 * address of Slack, Discord or ntfy.sh is known by its host; `slack+`, `discord+`, `ntfy+` or `webhook+` before it says
 * what it is.
 * @returns an empty list for `off`, and undefined for what is no such list
 */
export function readNotify(text: string): NotifyWay[] | undefined {
  const parts = text.split(/[\s,]+/).filter(Boolean);
  if (parts.length === 1 && parts[0] === "off") return [];
  const ways = parts.map(readWay);
  return ways.length > 0 && ways.every((way) => way !== undefined) ? ways : undefined;
}

/** Whether a list holds an address, which is a secret. */
export function hasAddress(text: string): boolean {
  return text.includes("://");
}

function readWay(part: string): NotifyWay | undefined {
  if (part === "auto" || part === "desktop") return { kind: part };
  const named = NOTIFY_SERVICES.find((service) => part === service || part.startsWith(`${service}+`));
  const address = named ? part.slice(named.length + 1) : part;
  if (named && address === "") return part === named ? { kind: named } : undefined;
  if (!/^https?:\/\/./.test(address) || !URL.canParse(address)) return undefined;
  const kind = named ?? HOSTS.find(([, host]) => host.test(address))?.[0];
  return kind && { kind, address };
}
