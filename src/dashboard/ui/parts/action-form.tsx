import { useEffect, useId, useState } from "preact/hooks";
import type { FormView } from "../../views/calls.js";
import { Dialog } from "./dialog.js";
import type { FormLook } from "./doing.js";
import { QuotedText } from "./quoted-text.js";

type Field = FormView["fields"][number];

export interface ActionFormProps {
  form: FormView;
  look?: FormLook;
  /** Without values: declined. */
  reply(values?: Record<string, string>): void;
}

/** A form that an action shows before it goes on. */
export function ActionForm({ form, look = {}, reply }: ActionFormProps) {
  const agreement =
    form.fields.length === 1 && form.fields[0]?.name === "confirm" ? form.fields[0] : undefined;
  return agreement?.choices ? (
    <Agreement form={form} look={look} field={agreement} reply={reply} />
  ) : (
    <Fields form={form} look={look} reply={reply} />
  );
}

/** The first line of the message is the title; the rest is below it. */
function split(message: string): [title: string, rest: string] {
  const [title = "", ...rest] = message.trim().split("\n");
  return title.length <= 120 ? [title, rest.join("\n").trim()] : ["Please decide", message.trim()];
}

/** So long nothing can be agreed to, in ms: a click that was meant for what was there before is none for this form. */
const SETTLE_MS = 300;

function useSettled(): boolean {
  const [isSettled, setSettled] = useState(false);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(true), SETTLE_MS);
    return () => window.clearTimeout(timer);
  }, []);
  return isSettled;
}

/** Yes or no, each a button of its own; no is the one that has the focus. */
function Agreement({ form, look, field, reply }: ActionFormProps & { field: Field }) {
  const [title, rest] = split(form.message);
  const isNew = !form.message.includes(field.description);
  const isSettled = useSettled();
  return (
    <Dialog title={title} onClose={() => reply()}>
      {rest && <QuotedText text={rest} />}
      {isNew && <p class="muted">{field.description}</p>}
      <div class="buttons">
        {field.choices?.map(({ value, title: name }) => (
          <button
            key={value}
            type="button"
            class={value === "no" ? "button" : look?.ends ? "button danger" : "button strong"}
            autofocus={value === "no"}
            disabled={value !== "no" && !isSettled}
            onClick={() => reply({ [field.name]: value })}
          >
            {name}
          </button>
        ))}
      </div>
    </Dialog>
  );
}

function Fields({ form, look, reply }: ActionFormProps) {
  const [title, rest] = split(form.message);
  const [values, setValues] = useState<Record<string, string>>(() =>
    Object.fromEntries(
      form.fields.flatMap(({ name, suggestion }) => (suggestion ? [[name, suggestion]] : [])),
    ),
  );
  const send = (event: Event) => {
    event.preventDefault();
    reply(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "")));
  };
  return (
    <Dialog title={title} onClose={() => reply()}>
      {rest && <QuotedText text={rest} />}
      <form class="fields" onSubmit={send}>
        {form.fields.map((field) => (
          <FormField
            key={field.name}
            field={field}
            value={values[field.name] ?? ""}
            onChange={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
          />
        ))}
        <div class="buttons">
          <button type="button" class="button" onClick={() => reply()}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            {look?.send ?? "Send"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function FormField(props: { field: Field; value: string; onChange(value: string): void }) {
  const { field, value, onChange } = props;
  const id = useId();
  if (field.choices) {
    const chosen = new Set(value.split(", ").filter(Boolean));
    const pick = (one: string, on: boolean) => {
      if (!field.several) return onChange(one);
      if (on) chosen.add(one);
      else chosen.delete(one);
      onChange([...chosen].join(", "));
    };
    return (
      <fieldset class="field">
        <legend>{field.title}</legend>
        {field.description && <p class="muted">{field.description}</p>}
        {field.choices.map((choice) => (
          <label key={choice.value} class="choice">
            <input
              type={field.several ? "checkbox" : "radio"}
              name={id}
              required={field.required && !field.several}
              checked={chosen.has(choice.value)}
              onChange={(event) => pick(choice.value, event.currentTarget.checked)}
            />
            <span>{choice.title}</span>
          </label>
        ))}
      </fieldset>
    );
  }
  if (field.type === "boolean") {
    return (
      <label class="choice">
        <input
          type="checkbox"
          checked={value === "true"}
          onChange={(event) => onChange(String(event.currentTarget.checked))}
        />
        <span>{field.title}</span>
      </label>
    );
  }
  const common = {
    id,
    value,
    required: field.required,
    "aria-describedby": field.description ? `${id}-about` : undefined,
    onInput: (event: { currentTarget: HTMLInputElement | HTMLTextAreaElement }) =>
      onChange(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{field.title}</label>
      {field.description && (
        <p class="muted" id={`${id}-about`}>
          {field.description}
        </p>
      )}
      {field.lines ? (
        <textarea rows={4} {...common} />
      ) : (
        <input type="text" inputMode={field.type ? "decimal" : "text"} {...common} />
      )}
    </div>
  );
}
