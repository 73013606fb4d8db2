import { cutText } from "../../shared/text.js";
import { type AskMessage, writeButton } from "../ask-message.js";
import { escapeSlack } from "./escape.js";

/** A section has no more, in characters; escaping makes three of one at the most five. */
const SECTION_CHARS = 3_000;
const BUTTON_CHARS = 75;
const BUTTONS = 5;

/** The message as Slack's blocks, with its text for notifications. */
export function toSlackMessage(message: AskMessage): { text: string; blocks: object[] } {
  const { title, about, detail, hint, link, outcome } = message;
  const last = outcome ?? hint;
  const blocks = [
    section(`*${escapeSlack(title)}*`),
    ...(detail ? [section(`\`\`\`${escapeSlack(detail)}\`\`\``)] : []),
    {
      type: "context",
      elements: [{ type: "mrkdwn", text: cutText(escapeSlack(about), 1_000) }],
    },
    ...(last ? [section(outcome ? `*${escapeSlack(last)}*` : escapeSlack(last))] : []),
    ...(outcome === undefined ? buttons(message) : []),
    ...(link ? [section(`<${escapeSlack(link)}|Open the dashboard>`)] : []),
  ];
  return { text: cutText(escapeSlack(outcome ? `${title}: ${outcome}` : title), SECTION_CHARS), blocks };
}

function section(text: string): object {
  return { type: "section", text: { type: "mrkdwn", text: cutText(text, SECTION_CHARS) } };
}

function buttons({ code, choices, words }: AskMessage): object[] {
  const all = [
    ...choices.map(({ title, weighty }, at) => ({ label: title, choice: at as number | undefined, weighty })),
    ...(words ? [{ label: words, choice: undefined, weighty: false }] : []),
  ];
  const rows = Array.from({ length: Math.ceil(all.length / BUTTONS) }, (_, row) =>
    all.slice(row * BUTTONS, (row + 1) * BUTTONS),
  );
  return rows.map((row) => ({
    type: "actions",
    elements: row.map(({ label, choice }) => ({
      type: "button",
      text: { type: "plain_text", text: cutText(label, BUTTON_CHARS) },
      action_id: writeButton(code, choice),
      value: writeButton(code, choice),
    })),
  }));
}

/** The form in which a person writes what they want to say. @param label of its field */
export function toSlackForm(code: string, choice: number | undefined, label: string): object {
  return {
    type: "modal",
    callback_id: "automagik_words",
    private_metadata: writeButton(code, choice),
    title: { type: "plain_text", text: "Your answer" },
    submit: { type: "plain_text", text: "Send" },
    close: { type: "plain_text", text: "Cancel" },
    blocks: [
      {
        type: "input",
        block_id: "words",
        label: { type: "plain_text", text: cutText(label, 150) },
        element: { type: "plain_text_input", action_id: "words", multiline: true, max_length: 3_000 },
      },
    ],
  };
}
