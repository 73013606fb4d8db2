import { signal } from "@preact/signals";
import type { FormView } from "../../views/calls.js";
import type { WidgetView } from "../../views/widget.js";
import type { Ask, FormLook, Outcome } from "../parts/doing.js";

/** What the widget shows. Each page has one widget, so each of these is there once. */
export const view = signal<WidgetView | undefined>(undefined);
/** What the call answered that the widget belongs to, where that is about no run and no plan. */
export const answer = signal("");
/** What has come of the last thing that was done here. */
export const told = signal<Outcome | undefined>(undefined);
/** Why what is shown may be old; "" while it is not. */
export const problem = signal("");
/** The call is over: no run or plan is to be expected any more. */
export const isOver = signal(false);

/** A form that has to be answered before something is done. */
export const openForm = signal<
  { form: FormView; look: FormLook; reply(values?: Record<string, string>): void } | undefined
>(undefined);

export const askPerson: Ask = (form, look = {}) =>
  new Promise((resolve) => {
    openForm.value = {
      form,
      look,
      reply(values) {
        openForm.value = undefined;
        resolve(values);
      },
    };
  });
