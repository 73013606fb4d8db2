/** The package as npm knows it. */
export const PACKAGE_NAME = "automagik-workflows-mcp";

/** What the server is called in a client unless told otherwise. */
export const SERVER_NAME = "automagik";

/** The variable that carries the API's key. */
export const KEY_VARIABLE = "AUTOMAGIK_WORKFLOWS_API_KEY";

/** Set to `local`, runs are carried out on this machine, which needs no key. */
export const ENGINE_VARIABLE = "AUTOMAGIK_WORKFLOWS_ENGINE";

/** Why a configuration cannot be written as asked, in a sentence for the person. Nothing was changed. */
export class InstallError extends Error {
  override name = "InstallError";
  /** The person can do it all the same, with the lines before their eyes. */
  readonly byHand: boolean;

  constructor(message: string, { byHand = false } = {}) {
    super(message);
    this.byHand = byHand;
  }
}
