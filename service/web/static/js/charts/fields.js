// The fields that a study varies, as the page's attribute data-varied lists them, and each arm's values in words.

/** More values than this are too many for lines or for the rows of a heat map. */
export const MAX_CATEGORIES = 12;

export class Fields {
  /** ``arms`` are [{id, name}]; ``fields`` are [{path, name, texts, numbers}], whose lists follow the arms. */
  constructor({ arms, fields }) {
    this.arms = arms;
    this.list = fields;
    this.indices = new Map(arms.map(({ id }, i) => [id, i]));
  }

  /** Whether the arms have names that no field repeats. */
  get named() {
    return new Set(this.arms.map(({ name }) => name)).size > 1 && !this.list.some(({ path }) => path === "arm");
  }

  text(field, id) {
    return field.texts[this.indices.get(id)];
  }

  /** A number, or for categories the place in their order of appearance. */
  value(field, id) {
    const i = this.indices.get(id);
    return field.numbers ? field.numbers[i] : categories(field).indexOf(field.texts[i]);
  }

  /** An arm in as few words as identify it: its name, or its fields with their values. */
  label(id) {
    if (!this.indices.has(id) || !this.list.length || this.named) return id;
    const word = (field) => (field.path === "arm" ? this.text(field, id) : `${field.name} ${this.text(field, id)}`);
    return this.list.map(word).join(", ");
  }

  /** An arm's values alone, for rows below the ``shortHeading``. */
  shortLabel(id) {
    if (!this.shortHeading || !this.indices.has(id)) return this.label(id);
    return this.list.map((field) => this.text(field, id)).join(" · ");
  }

  /** The names of the values in short labels; "" if labels are complete. */
  get shortHeading() {
    return this.named || this.list.length < 2 ? "" : this.list.map(({ name }) => name).join(" · ");
  }
}

/** The different texts of a field: numbers ascending, others in their order of appearance. */
export function categories({ texts, numbers }) {
  const unique = [...new Set(texts)];
  if (!numbers) return unique;
  const values = new Map(texts.map((text, i) => [text, numbers[i]]));
  return unique.sort((a, b) => values.get(a) - values.get(b));
}
