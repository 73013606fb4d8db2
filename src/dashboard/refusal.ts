/** A request that is not served. The message is fit to be shown to anybody. */
export class Refusal extends Error {
  override name = "Refusal";

  constructor(
    readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 503,
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message);
  }
}
