// Compares times, and says them in the reader's own language and time zone.

import { element } from "./elements.js";

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** For sorting the newest first. ISO texts do not sort as they stand: some have fractions of a second, some have none. */
export function newestFirst(a, b) {
  return Date.parse(b) - Date.parse(a) || b.localeCompare(a);
}

/** Today as a clock time, any other day as a date. */
export function shortTime(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  return (today ? clock : day).format(moment);
}

export function timeElement(iso) {
  return element("time", { datetime: iso, title: exact.format(new Date(iso)) }, shortTime(iso));
}
