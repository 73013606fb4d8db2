import { type Call, type Services, whoseCall } from "./define-action.js";

/**
 * Gives an agent the person's answer to its question, and says whose it is where the API takes that.
 * @throws ApiError
 */
export async function giveAnswer(
  { runId, questionId, text }: { runId: string; questionId: string; text: string },
  call: Call,
  { api, capabilities }: Services,
): Promise<void> {
  const takesAnswerer = capabilities.state().description?.takesAnswerer;
  await api.answerQuestion(runId, questionId, text, takesAnswerer ? whoseCall(call) : undefined);
}
