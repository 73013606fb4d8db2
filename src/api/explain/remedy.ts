import { UNUSABLE_PROXY } from "../../shared/http/proxy.js";
import { HOW_TO_AUTHORIZE, WANTS_USER } from "./proxy.js";

/** Nobody whom this machine trusts has signed the certificate. */
const UNTRUSTED = [
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
];
/** What came was no TLS: most likely HTTP without it. */
const NO_TLS = ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "EPROTO"];

/**
 * What to do about a request that got no answer; undefined when how it failed says no more than that nobody answers.
 * @param at.proxy the name of the proxy that it went through
 * @param at.speaksTls TLS is spoken at the address, which was asked without
 */
export function findRemedy(
  error: unknown,
  { proxy, speaksTls }: { proxy?: string | undefined; speaksTls?: boolean | undefined },
): string | undefined {
  const code = findCode(error) ?? "";
  const refusal = tunnelStatus(error);
  if (refusal !== undefined) {
    const how = refusal === 407 ? `${WANTS_USER}: ${HOW_TO_AUTHORIZE}` : "does not let it through.";
    return `The proxy answered HTTP ${refusal}: it ${how}`;
  }
  if (UNTRUSTED.includes(code)) {
    return (
      "Its certificate is not signed by an authority that this machine trusts. If it is your own, set NODE_EXTRA_CA_CERTS to a " +
      "file with the certificate that signed it, and start the server again."
    );
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID")
    return "Its certificate has expired or is not valid yet: renew it, or correct the clock.";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "Its certificate is for another host name: set AUTOMAGIK_WORKFLOWS_BASE_URL to that name.";
  if (NO_TLS.includes(code)) {
    return "The server there speaks plain HTTP: let AUTOMAGIK_WORKFLOWS_BASE_URL begin with http:// instead of https://.";
  }
  if (speaksTls)
    return "The server there speaks HTTPS: let AUTOMAGIK_WORKFLOWS_BASE_URL begin with https:// instead of http://.";
  if (code === UNUSABLE_PROXY) return (error as Error).message;
  return proxy
    ? "Check the address and the proxy, which HTTP_PROXY or HTTPS_PROXY names; hosts in NO_PROXY are reached without it."
    : undefined;
}

/** The status with which a proxy has refused a tunnel, as the library that asks for it words it. */
function tunnelStatus(error: unknown, depth = 0): number | undefined {
  if (!(error instanceof Error) || depth > 5) return undefined;
  const [, status] = /^Bad response: (\d{3})$/.exec(error.message) ?? [];
  return status ? Number(status) : tunnelStatus(error.cause, depth + 1);
}

/** The system's word for a failure, looked for through causes and the parts of an aggregate. */
export function findCode(error: unknown, depth = 0): string | undefined {
  if (typeof error !== "object" || error === null || depth > 5) return undefined;
  const { code, cause, errors } = error as Record<string, unknown>;
  // Several addresses were tried in vain: each of the parts says what failed, the whole does not.
  if (Array.isArray(errors) && errors.length > 0) return findCode(errors[0], depth + 1);
  return typeof code === "string" && /^[A-Z_0-9]+$/.test(code) ? code : findCode(cause, depth + 1);
}
