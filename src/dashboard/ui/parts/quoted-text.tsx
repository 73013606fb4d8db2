/** A text of this server's in which lines that begin with ">" are the words of others: these are set off. */
export function QuotedText({ text }: { text: string }) {
  return (
    <>
      {inBlocks(text).map(({ isQuote, lines }, index) =>
        isQuote ? (
          <blockquote key={index} class="told quoted">
            {lines.join("\n")}
          </blockquote>
        ) : (
          <p key={index} class="told">
            {lines.join("\n")}
          </p>
        ),
      )}
    </>
  );
}

interface Block {
  isQuote: boolean;
  lines: string[];
}

/** Lines of one kind together, without the signs and the empty lines around them. */
function inBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  for (const line of text.split("\n")) {
    const isQuote = /^>( |$)/.test(line);
    const last = blocks.at(-1);
    const shown = isQuote ? line.slice(2) : line;
    if (last?.isQuote === isQuote) last.lines.push(shown);
    else blocks.push({ isQuote, lines: [shown] });
  }
  return blocks
    .map(({ isQuote, lines }) => ({
      isQuote,
      lines: lines
        .join("\n")
        .replace(/^\n+|\n+$/g, "")
        .split("\n"),
    }))
    .filter(({ lines }) => lines.join("") !== "");
}
