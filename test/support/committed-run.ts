import { createContractClient } from "../contract/upstream.js";
import { ENGINE_KEY, withScript } from "./local-engine.js";
import { statusThat } from "./patient.js";

const STEPS = [
  { tools: [{ name: "Write", input: { file_path: "login.txt", content: "login\n" } }] },
  {
    tools: [
      {
        name: "Bash",
        input: { command: "git add . && git -c user.name=A -c user.email=a@b commit -qm 'Add the login'" },
        run: true,
      },
    ],
  },
  { text: "Done." },
];

/** The message with which a scripted agent commits a file, `login.txt`. */
export const ADD_LOGIN = withScript("Add the login", { steps: STEPS });

/** Carries out a run of the session `login` that commits `login.txt`, to its end. */
export async function runToCommit(url: string, repository: string): Promise<string> {
  const direct = createContractClient({ url, apiKey: ENGINE_KEY });
  const fields = { message: ADD_LOGIN, session_name: "login", repository_url: repository };
  const { run_id } = await direct.start(fields, "implement");
  for (;;) {
    const status = await statusThat(
      direct,
      run_id,
      (found) => found.waiting_for === "question" || found.completed_at !== null,
    );
    if (status.completed_at !== null) return run_id;
    for (const { question_id } of status.questions)
      await direct.post(`/run/${run_id}/questions/${question_id}/answer`, { answer: "allow_once" });
  }
}
