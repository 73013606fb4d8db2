/** What is told to a person by another service. The texts are cleaned and bounded already; parts of them are strangers' words. */
export interface OutsideMessage {
  /** The event's key. */
  id: string;
  event: string;
  title: string;
  body: string;
  /** Where the dashboard shows it. */
  link?: string | undefined;
}

/** A message with what it stands for as data. */
export interface EventMessage extends OutsideMessage {
  /** ISO 8601 */
  at: string;
  data: unknown;
}
