/** A structured report (PS3.3 C.17) as an outline that reads like a page. */

import { type DataSet, items, number, numbers, personName, text } from "../dicomweb/dicom-json";
import { readableDate, readableName, readableTime } from "./patient";
import { Tag } from "./tags";

const Sr = {
	ReferencedSOPClassUID: "00081150",
	ReferencedSOPInstanceUID: "00081155",
	ReferencedFrameNumber: "00081160",
	ReferencedSeriesSequence: "00081115",
	ReferencedSOPSequence: "00081199",
	CodeValue: "00080100",
	LongCodeValue: "00080119",
	URNCodeValue: "00080120",
	CodeMeaning: "00080104",
	MeasurementUnitsCodeSequence: "004008EA",
	RelationshipType: "0040A010",
	VerifyingOrganization: "0040A027",
	VerificationDateTime: "0040A030",
	ValueType: "0040A040",
	VerifyingObserverSequence: "0040A073",
	VerifyingObserverName: "0040A075",
	AuthorObserverSequence: "0040A078",
	DateTime: "0040A120",
	Date: "0040A121",
	Time: "0040A122",
	PersonName: "0040A123",
	UID: "0040A124",
	TextValue: "0040A160",
	ConceptCodeSequence: "0040A168",
	MeasuredValueSequence: "0040A300",
	NumericValueQualifierCodeSequence: "0040A301",
	NumericValue: "0040A30A",
	CurrentRequestedProcedureEvidenceSequence: "0040A375",
	PertinentOtherEvidenceSequence: "0040A385",
	CompletionFlag: "0040A491",
	CompletionFlagDescription: "0040A492",
	VerificationFlag: "0040A493",
	ContentSequence: "0040A730",
	GraphicType: "00700023",
} as const;

export interface Reference {
	readonly sopInstanceUID: string;
	/** From 1; undefined when the whole instance is meant. */
	readonly frameNumber: number | undefined;
	/** From the evidence lists; "" when the report does not say. */
	readonly seriesInstanceUID: string;
}

/** One content item, as the tree view shows it. */
export interface ContentItem {
	readonly relationship: string;
	readonly type: string;
	readonly name: string;
	readonly value: string;
	/** Of NUM items. */
	readonly unit: string;
	readonly reference: Reference | undefined;
	readonly children: readonly ContentItem[];
}

export interface MeasurementRow {
	readonly name: string;
	readonly value: string;
	readonly unit: string;
	/** Site, method and other words that qualify the number. */
	readonly qualifiers: readonly string[];
	readonly references: readonly Reference[];
}

export type Block =
	| { readonly kind: "heading"; readonly level: number; readonly text: string }
	| {
			readonly kind: "finding";
			readonly name: string;
			readonly value: string;
			readonly qualifiers: readonly string[];
			readonly references: readonly Reference[];
	  }
	| { readonly kind: "measurements"; readonly rows: readonly MeasurementRow[] }
	| {
			readonly kind: "references";
			readonly name: string;
			readonly references: readonly Reference[];
	  };

export interface Report {
	readonly title: string;
	readonly complete: boolean;
	readonly completion: string;
	readonly verified: boolean;
	/** Key object documents state neither completion nor verification. */
	readonly stated: boolean;
	readonly verification: readonly string[];
	readonly date: string;
	/** Observer, subject, language and other context, as name and value. */
	readonly context: readonly (readonly [name: string, value: string])[];
	readonly blocks: readonly Block[];
	readonly tree: ContentItem;
}

function codeMeaning(dataSet: DataSet, tag: string): string {
	const code = items(dataSet, tag)[0];
	if (!code) return "";
	return (
		text(code, Sr.CodeMeaning) ||
		text(code, Sr.CodeValue) ||
		text(code, Sr.LongCodeValue) ||
		text(code, Sr.URNCodeValue)
	);
}

/** UCUM as people write it: `mm2` is mm², `Gy.m2` is Gy·m². */
export function readableUnit(code: string): string {
	return code
		.replace(/(?<=[A-Za-z])2(?![A-Za-z0-9])/g, "\u00b2")
		.replace(/(?<=[A-Za-z])3(?![A-Za-z0-9])/g, "\u00b3")
		.replace(/\./g, "\u00b7");
}

function unitOf(measured: DataSet): string {
	const code = items(measured, Sr.MeasurementUnitsCodeSequence)[0];
	const value = code ? text(code, Sr.CodeValue) : "";
	// UCUM writes dimensionless as 1 and annotations in braces: {score}.
	if (value === "1" || value === "") return "";
	return /^\{.*\}$/.test(value) ? value.slice(1, -1) : readableUnit(value);
}

function dateTime(value: string): string {
	return [readableDate(value.slice(0, 8)), readableTime(value.slice(8))].filter(Boolean).join(" ");
}

type ValueReader = (item: DataSet) => string;

const VALUES: Readonly<Record<string, ValueReader>> = {
	TEXT: (item) => text(item, Sr.TextValue),
	CODE: (item) => codeMeaning(item, Sr.ConceptCodeSequence),
	PNAME: (item) => readableName(personName(item, Sr.PersonName).Alphabetic ?? ""),
	DATE: (item) => readableDate(text(item, Sr.Date)),
	TIME: (item) => readableTime(text(item, Sr.Time)),
	DATETIME: (item) => dateTime(text(item, Sr.DateTime)),
	UIDREF: (item) => text(item, Sr.UID),
	SCOORD: (item) => text(item, Sr.GraphicType).toLowerCase(),
	SCOORD3D: (item) => text(item, Sr.GraphicType).toLowerCase(),
	NUM: (item) => {
		const measured = items(item, Sr.MeasuredValueSequence)[0];
		const value = measured ? text(measured, Sr.NumericValue) : "";
		return value || codeMeaning(item, Sr.NumericValueQualifierCodeSequence) || "not measured";
	},
};

/** SOP Instance UID to Series Instance UID, from the evidence lists. */
function evidence(instance: DataSet): Map<string, string> {
	const found = new Map<string, string>();
	for (const list of [
		Sr.CurrentRequestedProcedureEvidenceSequence,
		Sr.PertinentOtherEvidenceSequence,
	]) {
		for (const study of items(instance, list)) {
			for (const series of items(study, Sr.ReferencedSeriesSequence)) {
				for (const sop of items(series, Sr.ReferencedSOPSequence)) {
					found.set(text(sop, Sr.ReferencedSOPInstanceUID), text(series, Tag.SeriesInstanceUID));
				}
			}
		}
	}
	return found;
}

function contentItem(item: DataSet, seriesOf: Map<string, string>): ContentItem {
	const type = text(item, Sr.ValueType);
	const sop = items(item, Sr.ReferencedSOPSequence)[0];
	const sopInstanceUID = sop ? text(sop, Sr.ReferencedSOPInstanceUID) : "";
	const measured = items(item, Sr.MeasuredValueSequence)[0];
	return {
		relationship: text(item, Sr.RelationshipType),
		type,
		name: codeMeaning(item, Tag.ConceptNameCodeSequence),
		value: VALUES[type]?.(item) ?? "",
		unit: measured ? unitOf(measured) : "",
		reference:
			sop && sopInstanceUID
				? {
						sopInstanceUID,
						frameNumber: numbers(sop, Sr.ReferencedFrameNumber)[0],
						seriesInstanceUID: seriesOf.get(sopInstanceUID) ?? "",
					}
				: undefined,
		children: items(item, Sr.ContentSequence).map((child) => contentItem(child, seriesOf)),
	};
}

function referencesUnder(item: ContentItem): Reference[] {
	return [...(item.reference ? [item.reference] : []), ...item.children.flatMap(referencesUnder)];
}

const isContext = (item: ContentItem) =>
	item.relationship === "HAS OBS CONTEXT" ||
	item.relationship === "HAS ACQ CONTEXT" ||
	(item.relationship === "HAS CONCEPT MOD" && item.type !== "CONTAINER");

/** Words that qualify a finding: its modifiers and properties that carry no number. */
function qualifiers(item: ContentItem): string[] {
	return item.children
		.filter(
			(child) =>
				child.value && child.type !== "NUM" && !["SCOORD", "SCOORD3D"].includes(child.type),
		)
		.map((child) => (child.name ? `${child.name}: ${child.value}` : child.value));
}

function measurementRow(item: ContentItem): MeasurementRow {
	return {
		name: item.name,
		value: item.value,
		unit: item.unit,
		qualifiers: qualifiers(item),
		references: referencesUnder(item),
	};
}

/** The blocks of a container's children, in order; runs of numbers become one table. */
function blocksOf(children: readonly ContentItem[], level: number): Block[] {
	const blocks: Block[] = [];
	for (const item of children) {
		if (isContext(item)) continue;
		const last = blocks.at(-1);
		if (item.type === "NUM") {
			const row = measurementRow(item);
			if (last?.kind === "measurements") {
				blocks[blocks.length - 1] = { kind: "measurements", rows: [...last.rows, row] };
			} else blocks.push({ kind: "measurements", rows: [row] });
			blocks.push(
				...blocksOf(
					item.children.filter((child) => child.type === "CONTAINER"),
					level,
				),
			);
		} else if (item.type === "CONTAINER") {
			if (item.name) blocks.push({ kind: "heading", level, text: item.name });
			const notes = item.children.filter(isContext).filter((child) => child.value);
			for (const note of notes) {
				blocks.push({
					kind: "finding",
					name: note.name,
					value: note.value,
					qualifiers: [],
					references: [],
				});
			}
			blocks.push(...blocksOf(item.children, Math.min(level + 1, 4)));
		} else if (item.reference && !item.value) {
			if (last?.kind === "references" && last.name === item.name) {
				blocks[blocks.length - 1] = {
					...last,
					references: [...last.references, ...referencesUnder(item)],
				};
			} else
				blocks.push({ kind: "references", name: item.name, references: referencesUnder(item) });
		} else {
			const numeric = item.children.filter((child) => child.type === "NUM");
			blocks.push({
				kind: "finding",
				name: item.name,
				value: item.value,
				qualifiers: qualifiers(item),
				references: item.children.filter((child) => child.type !== "NUM").flatMap(referencesUnder),
			});
			if (numeric.length > 0)
				blocks.push({ kind: "measurements", rows: numeric.map(measurementRow) });
			blocks.push(
				...blocksOf(
					item.children.filter((child) => child.type === "CONTAINER"),
					level,
				),
			);
		}
	}
	return blocks;
}

function verificationLines(instance: DataSet): string[] {
	return items(instance, Sr.VerifyingObserverSequence).map((observer) =>
		[
			readableName(personName(observer, Sr.VerifyingObserverName).Alphabetic ?? ""),
			text(observer, Sr.VerifyingOrganization),
			dateTime(text(observer, Sr.VerificationDateTime)),
		]
			.filter(Boolean)
			.join(" · "),
	);
}

/** The page of a structured report or key object document, from its DICOM JSON. */
export function reportOf(instance: DataSet): Report {
	const tree = contentItem(instance, evidence(instance));
	const authors = items(instance, Sr.AuthorObserverSequence)
		.map((author) => readableName(personName(author, Sr.PersonName).Alphabetic ?? ""))
		.filter(Boolean)
		.map((name) => ["Author", name] as const);
	const complete = text(instance, Sr.CompletionFlag) === "COMPLETE";
	const stated = text(instance, Sr.CompletionFlag);
	return {
		title: tree.name || text(instance, Tag.SeriesDescription) || "Report",
		complete,
		completion: complete ? "Complete" : stated === "PARTIAL" ? "Partial" : "Completion not stated",
		verified: text(instance, Sr.VerificationFlag) === "VERIFIED",
		stated: stated !== "" || text(instance, Sr.VerificationFlag) !== "",
		verification: verificationLines(instance),
		date: [
			readableDate(text(instance, Tag.ContentDate)),
			readableTime(text(instance, Tag.ContentTime)),
		]
			.filter(Boolean)
			.join(" "),
		context: [
			...authors,
			...tree.children
				.filter((item) => isContext(item) && item.value)
				.map((item) => [item.name, item.value] as const),
		],
		blocks: blocksOf(tree.children, 2),
		tree,
	};
}

/** Instance Number of a report among its series; undefined when it has none. */
export function reportNumber(instance: DataSet): number | undefined {
	return number(instance, Tag.InstanceNumber);
}
