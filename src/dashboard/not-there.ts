/** There is no such thing. The message says so, and is fit to be shown. */
export class NotThere extends Error {
  override name = "NotThere";
}
