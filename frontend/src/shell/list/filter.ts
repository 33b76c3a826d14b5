import type { StudyFilter } from "../../dicomweb/studies";

export const NO_FILTER: StudyFilter = {
	q: "",
	date: "",
	date_from: "",
	date_to: "",
	modality: [],
	description: "",
	body_part: "",
	accession: "",
	referring: "",
	station: "",
	state: "",
};

export type FilterPart = keyof StudyFilter;

export const FILTER_NAMES: Record<FilterPart, string> = {
	q: "patient",
	date: "study date",
	date_from: "study date from",
	date_to: "study date to",
	modality: "modality",
	description: "description",
	body_part: "body part",
	accession: "accession",
	referring: "referring physician",
	station: "station",
	state: "state",
};

/** TABLE: the modalities that have a chip, the frequent ones first. */
export const MODALITIES = [
	"CT",
	"MR",
	"CR",
	"DX",
	"US",
	"MG",
	"XA",
	"RF",
	"NM",
	"PT",
	"ES",
	"OP",
	"SM",
	"ECG",
	"SC",
	"OT",
	"SR",
	"PR",
	"KO",
	"SEG",
	"DOC",
	"RTSTRUCT",
	"RTPLAN",
	"RTDOSE",
];

/** TABLE: the words of the state filter. */
export const STATES: [string, string][] = [
	["", "any"],
	["receiving", "receiving"],
	["complete", "complete"],
	["read", "read"],
	["attention", "attention"],
];

/** TABLE: spans of days that move with the calendar; the server counts them from today. */
export const DATE_PRESETS: [string, string][] = [
	["", "Any"],
	["today", "Today"],
	["yesterday", "Yesterday"],
	["7d", "7 days"],
	["30d", "30 days"],
];

export function isFiltered(filter: StudyFilter): boolean {
	return Object.values(filter).some((value) => value.length > 0);
}

/** The filter without one of its parts; the ends of the span go with the date. */
export function lifted(filter: StudyFilter, part: FilterPart): StudyFilter {
	if (part === "modality") return { ...filter, modality: [] };
	if (part.startsWith("date")) return { ...filter, date: "", date_from: "", date_to: "" };
	return { ...filter, [part]: "" };
}

/** One part of the filter and nothing else. */
export function only(filter: StudyFilter, part: FilterPart): StudyFilter {
	if (part === "modality") return { ...NO_FILTER, modality: filter.modality };
	if (!part.startsWith("date")) return { ...NO_FILTER, [part]: filter[part] };
	const { date, date_from, date_to } = filter;
	return { ...NO_FILTER, date, date_from, date_to };
}

/** What is set, and nothing else: the form in which a filter is kept. */
export function setParts(filter: StudyFilter): Partial<StudyFilter> {
	return Object.fromEntries(Object.entries(filter).filter(([, value]) => value.length > 0));
}

export function sameFilter(one: StudyFilter, other: StudyFilter): boolean {
	return (Object.keys(NO_FILTER) as FilterPart[]).every(
		(part) => [one[part]].flat().sort().join("\n") === [other[part]].flat().sort().join("\n"),
	);
}

const shortDay = (date: string) => `${date.slice(6)}.${date.slice(4, 6)}.${date.slice(2, 4)}`;

/** The date filter in a word, for its button. */
export function dateWord(filter: StudyFilter): string {
	const preset = DATE_PRESETS.find(([key]) => key === filter.date)?.[1];
	if (filter.date) return preset ?? filter.date;
	const { date_from: from, date_to: to } = filter;
	if (!from && !to) return "Any";
	if (from && to) return from === to ? shortDay(from) : `${shortDay(from)} – ${shortDay(to)}`;
	return from ? `from ${shortDay(from)}` : `to ${shortDay(to)}`;
}

/** What one part of the filter asks, for a chip. */
export function partText(filter: StudyFilter, part: FilterPart): string {
	return part.startsWith("date") ? dateWord(filter) : [filter[part]].flat().join(" ");
}

/** The filter lives in the address, so that back, reload and a copied link keep it. */
export function filterFromSearch(search: string): StudyFilter {
	const query = new URLSearchParams(search);
	const filter = { ...NO_FILTER, modality: query.getAll("modality") };
	for (const key of Object.keys(NO_FILTER) as FilterPart[]) {
		if (key !== "modality") filter[key] = query.get(key) ?? "";
	}
	return filter;
}
