import type { ChatStopStreamArguments } from "@slack/web-api";
import { cutText } from "../../shared/text.js";
import { type AskMessage, writeButton } from "../ask-message.js";
import { escapeSlack } from "./escape.js";

type AnyBlock = NonNullable<ChatStopStreamArguments["blocks"]>[number];
/** Blocks of the kinds that are used here, as Slack's own client has them. */
type SlackBlock = Extract<AnyBlock, { type: "rich_text" | "context" | "actions" }>;
type RichText = Extract<AnyBlock, { type: "rich_text" }>;

/** Of a text object Slack takes no more, in characters; as long are the others. */
const TEXT_CHARS = 3_000;
const BUTTON_CHARS = 75;
const BUTTONS = 5;

/**
 * The message as Slack's blocks, with its text for notifications. What others have written is `rich_text` or plain text,
 * which Slack shows as it is: neither mention nor link comes of it, no markup is lost, and nothing ends a code block.
 */
export function toSlackMessage(message: AskMessage): { text: string; blocks: SlackBlock[] } {
  const { title, about, detail, hint, link, outcome } = message;
  const last = outcome ?? hint;
  const blocks: SlackBlock[] = [
    line(title, true),
    ...(detail ? [code(detail)] : []),
    { type: "context", elements: [{ type: "plain_text", text: cutText(about, TEXT_CHARS), emoji: false }] },
    ...(last ? [line(last, outcome !== undefined)] : []),
    ...(outcome === undefined ? buttons(message) : []),
    ...(link ? [linkTo(link)] : []),
  ];
  return { text: cutText(escapeSlack(outcome ? `${title}: ${outcome}` : title), TEXT_CHARS), blocks };
}

/** Whether all of a title and its detail is seen. */
export function fitsSlack({ title, detail }: Pick<AskMessage, "title" | "detail">): boolean {
  return title.length <= TEXT_CHARS && detail.length <= TEXT_CHARS;
}

function line(text: string, bold: boolean): RichText {
  const style = bold ? { style: { bold } } : {};
  const shown = { type: "text" as const, text: cutText(text, TEXT_CHARS), ...style };
  return { type: "rich_text", elements: [{ type: "rich_text_section", elements: [shown] }] };
}

function code(text: string): RichText {
  const shown = { type: "text" as const, text: cutText(text, TEXT_CHARS) };
  return { type: "rich_text", elements: [{ type: "rich_text_preformatted", elements: [shown] }] };
}

function linkTo(url: string): RichText {
  const shown = { type: "link" as const, url, text: "Open the dashboard" };
  return { type: "rich_text", elements: [{ type: "rich_text_section", elements: [shown] }] };
}

function buttons({ code, choices, words }: AskMessage): SlackBlock[] {
  const all = [
    ...choices.map(({ title }, at) => ({ label: title, choice: at as number | undefined })),
    ...(words ? [{ label: words, choice: undefined }] : []),
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
