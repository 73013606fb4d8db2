/** How a check went. A warning is worth knowing; only a failure keeps the product from its work. */
export type Status = "ok" | "warning" | "failure" | "skipped";

/** What one check has found. */
export interface Finding {
  check: string;
  status: Status;
  /** What is the case, in one line. */
  message: string;
  /** What the person can do about it. */
  todo?: string;
}

/** A finding without its check's name. */
export type Result = Omit<Finding, "check">;

export const ok = (message: string): Result => ({ status: "ok", message });
export const skipped = (message: string): Result => ({ status: "skipped", message });
export const warning = (message: string, todo: string): Result => ({ status: "warning", message, todo });
export const failure = (message: string, todo: string): Result => ({ status: "failure", message, todo });
