/**
 * What keeps the stored state from being used. `busy` passes by itself; the others need a person. `unknown`: whether the
 * last change was stored is not known.
 */
export type StoreErrorKind =
  | "busy"
  | "full"
  | "unwritable"
  | "damaged"
  | "newer-version"
  | "removed"
  | "unavailable"
  | "unknown";

/** The stored state cannot be used. The message is for a person and carries no path: anybody may see it. */
export class StoreError extends Error {
  override name = "StoreError";
  /** The system's or the server's own word for it. */
  readonly code: string | undefined;
  readonly kind: StoreErrorKind;

  constructor(message: string, code?: string, kind: StoreErrorKind = "unavailable") {
    super(message);
    this.code = code;
    this.kind = kind;
  }
}

/** Something about the stored state that a person should know. The message carries no absolute path. */
export interface StoreProblem {
  kind: "damaged" | "newer-version" | "unreadable" | "unwritable" | "permissions";
  message: string;
}
