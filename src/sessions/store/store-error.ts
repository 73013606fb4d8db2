/** The place where sessions are kept does not answer, or refuses. The message is fit to be shown to anybody. */
export class StoreError extends Error {
  override name = "StoreError";
  /** The server's own word for it, or the system's. */
  readonly code: string | undefined;

  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}
