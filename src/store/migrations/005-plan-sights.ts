/** What is seen at the moment of plans that are carried out, for other processes. Times are epoch ms. */
export interface PlanSightTables {
  /**
   * At most one for a plan, of the process that carries it out; none where there is nothing to be seen. `data` is JSON:
   * `troubles`, as the runner has them, and `actions`, what each run does, by its key.
   */
  plan_sights: { plan_id: string; at: number; data: string };
}

export const planSightsMigration = {
  name: "005-plan-sights",
  statements: [
    `create table plan_sights (
      plan_id text not null primary key,
      at double precision not null,
      data text not null,
      foreign key (plan_id) references plans (plan_id) on delete cascade
    )`,
  ],
};
