/** The system's own word for what went wrong, "" when there is none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}
