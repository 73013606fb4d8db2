/** One complaint about a request, in pydantic's form, which is the contract's. */
export interface Issue {
  type: string;
  loc: (string | number)[];
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

/** What the API answers instead of doing what was asked: `{detail}`, a text or the list of a 422. */
export class HttpRefusal extends Error {
  override name = "HttpRefusal";
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 422 | 429 | 503;
  readonly detail: string | Issue[];
  /** In seconds. */
  readonly retryAfter: number | undefined;

  constructor(status: HttpRefusal["status"], detail: string | Issue[], retryAfter?: number) {
    super(typeof detail === "string" ? detail : detail.map((issue) => issue.msg).join("; "));
    this.status = status;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}
