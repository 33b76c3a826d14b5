/** The DICOM JSON Model (PS3.18 Annex F) as it comes over the wire, and how to read it. */

export interface Attribute {
	vr: string;
	Value?: unknown[];
	BulkDataURI?: string;
	InlineBinary?: string;
}

/** A data set: eight upper-case hexadecimal digits of the tag to the attribute. */
export type DataSet = Readonly<Record<string, Attribute | undefined>>;

export interface PersonName {
	Alphabetic?: string;
	Ideographic?: string;
	Phonetic?: string;
}

/** First value as text; numbers are spelled out; "" when absent or empty. */
export function text(dataSet: DataSet, tag: string): string {
	return texts(dataSet, tag)[0] ?? "";
}

/** All values as text, empty ones as "". */
export function texts(dataSet: DataSet, tag: string): string[] {
	const values = dataSet[tag]?.Value ?? [];
	return values.map((value) => {
		if (value === null || value === undefined) return "";
		if (typeof value === "object") return (value as PersonName).Alphabetic ?? "";
		return String(value).trim();
	});
}

/** First value as a finite number, else undefined. */
export function number(dataSet: DataSet, tag: string): number | undefined {
	return numbers(dataSet, tag)[0];
}

/** All values as numbers; an empty list as soon as one of them is none. */
export function numbers(dataSet: DataSet, tag: string): number[] {
	const values = dataSet[tag]?.Value ?? [];
	const parsed = values.map((value) =>
		value === null || value === "" ? Number.NaN : Number(value),
	);
	return parsed.every(Number.isFinite) ? parsed : [];
}

/** The items of a sequence. */
export function items(dataSet: DataSet, tag: string): DataSet[] {
	const values = dataSet[tag]?.Value ?? [];
	return values.filter((value): value is DataSet => typeof value === "object" && value !== null);
}

/** First person name, component groups apart. */
export function personName(dataSet: DataSet, tag: string): PersonName {
	const value = dataSet[tag]?.Value?.[0];
	if (typeof value === "string") return { Alphabetic: value };
	return (value as PersonName | null | undefined) ?? {};
}

/** The bytes of InlineBinary. */
export function inlineBinary(attribute: Attribute | undefined): Uint8Array | undefined {
	if (attribute?.InlineBinary === undefined) return undefined;
	return Uint8Array.from(atob(attribute.InlineBinary), (letter) => letter.charCodeAt(0));
}
