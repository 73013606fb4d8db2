/**
 * What a person is to be told while no window is looked at, and by which channels it is told. Times are epoch ms.
 */
export interface NoticeTables {
  notices: {
    /** Names the event, so that it is told once, whoever has noticed it. */
    key: string;
    run_id: string;
    kind: string;
    created_at: number;
    /** Until then a window may say that its person knows. */
    due_at: number;
    /** `waiting`; `released`: channels tell it; `settled`: the person knows, or it has become void or too old. */
    state: string;
    /** What is told, as JSON. */
    notice: string;
  };
  /** One row for each channel of a released notice. */
  notice_deliveries: {
    key: string;
    channel: string;
    /**
     * `waiting`; `trying`: a process is at it, until `next_at`; `sent`; `failed`: given up; `unknown`: the process that
     * was at it has ended.
     */
    state: string;
    tries: number;
    next_at: number;
  };
}

export const noticesMigration = {
  name: "003-notices",
  statements: [
    `create table notices (
      key text not null primary key,
      run_id text not null,
      kind text not null,
      created_at double precision not null,
      due_at double precision not null,
      state text not null,
      notice text not null
    )`,
    `create index notices_by_state on notices (state, due_at)`,
    `create index notices_by_run on notices (run_id)`,
    `create table notice_deliveries (
      key text not null,
      channel text not null,
      state text not null,
      tries bigint not null,
      next_at double precision not null,
      primary key (key, channel),
      foreign key (key) references notices (key) on delete cascade
    )`,
    `create index notice_deliveries_by_state on notice_deliveries (state, next_at)`,
  ],
};
