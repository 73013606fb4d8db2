/** Variables of the environment, as other programs read them too. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/** The proxy that requests to an address go through; undefined for none. */
export type FindProxy = (address: URL) => URL | undefined;

/**
 * Which proxy the environment names for an address, read as Node's fetch reads it: small letters come first, an https
 * address goes through that of http when it has none of its own, and `NO_PROXY` lists hosts, `*.host`, `host:port`, or
 * `*` for all.
 * @throws an Error from what it gives, worded for a person, for a proxy that cannot be used; it does not quote it
 */
export function createFindProxy(env: ProxyEnvironment): FindProxy {
  const plain = env.http_proxy ?? env.HTTP_PROXY;
  const secure = env.https_proxy ?? env.HTTPS_PROXY;
  const exceptions = (env.no_proxy ?? env.NO_PROXY ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  return (address) => {
    const text = (address.protocol === "https:" ? secure || plain : plain)?.trim();
    if (!text || exceptions.some((exception) => isExcepted(address, exception))) return undefined;
    const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
    if (URL.canParse(url) && /^https?:/i.test(url)) return new URL(url);
    throw Object.assign(
      new Error(
        "The proxy that HTTP_PROXY or HTTPS_PROXY names cannot be used: only http:// and https:// can.",
      ),
      { code: UNUSABLE_PROXY, sent: false },
    );
  };
}

/** The code of the failure by a proxy whose address cannot be used. */
export const UNUSABLE_PROXY = "ERR_UNUSABLE_PROXY";

function isExcepted({ hostname, port, protocol }: URL, exception: string): boolean {
  if (exception === "*") return true;
  const [, name = "", wantedPort] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(exception) ?? [];
  if (wantedPort && wantedPort !== (port || (protocol === "https:" ? "443" : "80"))) return false;
  const bare = (host: string) => host.replace(/^\[|\]$/g, "");
  if (/^[.*]/.test(name)) return hostname.endsWith(name.replace(/^\*/, ""));
  return bare(hostname) === bare(name);
}

/** A proxy's address as it may be shown: without user and password. */
export function nameProxy({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}

/** What a proxy wants to see of the user and password in its address. */
export function authorizeAtProxy({ username, password }: URL): Record<string, string> {
  if (!username && !password) return {};
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` };
}
