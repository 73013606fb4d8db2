/** What a proxy wants that has answered 407, and how to give it. */
export const WANTS_USER = "wants a user and password";
export const HOW_TO_AUTHORIZE =
  "put them into its address in HTTP_PROXY or HTTPS_PROXY, http://user:password@host:port.";
