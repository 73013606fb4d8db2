/** An open plan has the name already. The message is for a person; nothing was begun. */
export class PlanNameTaken extends Error {
  override name = "PlanNameTaken";
}
