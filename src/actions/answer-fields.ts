import * as z from "zod";

/** Fields of answers. Each kind is made once and stands in many places: to make them is much of what a start takes. */
export const text = z.string();
export const number = z.number();
export const flag = z.boolean();
export const texts = z.array(text);
export const maybeText = text.optional();
export const maybeNumber = number.optional();
export const maybeFlag = flag.optional();
export const maybeTexts = texts.optional();
