/** One complaint about a request, in the API's own form. */
export interface Issue {
  type: string;
  loc: (string | number)[];
  msg: string;
  input: unknown;
  ctx?: Record<string, unknown>;
}

/** What the API answers instead of doing what was asked. */
export class ApiRefusal extends Error {
  constructor(
    readonly status: number,
    readonly detail: string | Issue[],
    /** States that nothing was started, so that a 503 cannot be taken for a proxy's. */
    readonly started?: false,
  ) {
    super(typeof detail === "string" ? detail : detail.map((issue) => issue.msg).join("; "));
    this.name = "ApiRefusal";
  }
}
