/** Counts the owners of a plan: one that was replaced and has not noticed, as a stopped process, is known by it. */
export const planEpochsMigration = {
  name: "007-plan-epochs",
  statements: ["alter table plans add column epoch bigint not null default 0"],
};
