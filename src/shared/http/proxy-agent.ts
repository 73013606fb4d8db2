/** Tunnels through proxies, to be loaded only where there is one: it brings TLS with it. */
export { HttpsProxyAgent } from "hpagent";
