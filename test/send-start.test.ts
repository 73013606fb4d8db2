import { expect, it } from "vitest";
import { ApiError } from "../src/api/errors.js";
import { createSendStart } from "../src/runs/send-start.js";

const REQUEST = { workflowName: "fix", message: "Mend it", inputFormat: "stream-json" } as const;

it.each([
  ["its answer was lost", new ApiError("unreachable", "lost", { mayHaveActed: true })],
  ["its key was refused", new ApiError("refused", "another database", { staleKey: true })],
])("a start that a person has cancelled is not sent again when %s", async (_name, problem) => {
  for (const cancelledAt of ["the POST", "the look at the description"]) {
    const call = new AbortController();
    const reached = (point: string) => {
      if (point === cancelledAt) call.abort();
    };
    let posts = 0;
    const send = createSendStart({
      api: {
        startRun: () => {
          posts++;
          reached("the POST");
          return Promise.reject(problem);
        },
      },
      keys: {
        keyPrefix: () => "db.",
        readKeyPrefix: async () => {
          reached("the look at the description");
          return "db.";
        },
      },
    });
    await expect(send(REQUEST, call.signal)).rejects.toBe(problem);
    expect(posts).toBe(1);
  }
});
