import type { StudyFilter } from "../../dicomweb/studies";
import { today } from "../../model/studyText";

export const NO_FILTER: StudyFilter = {
	q: "",
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

export const FILTER_NAMES: Record<keyof StudyFilter, string> = {
	q: "patient",
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

export const MODALITIES = [
	"CR",
	"CT",
	"DX",
	"ES",
	"MG",
	"MR",
	"NM",
	"OP",
	"OT",
	"PT",
	"RF",
	"RTSTRUCT",
	"SC",
	"SEG",
	"SM",
	"SR",
	"US",
	"XA",
];

export function isFiltered(filter: StudyFilter): boolean {
	return Object.values(filter).some((value) => value.length > 0);
}

/** The filter without one of its parts; both ends of the date range are one part to the user. */
export function lifted(filter: StudyFilter, part: keyof StudyFilter): StudyFilter {
	if (part === "modality") return { ...filter, modality: [] };
	if (part === "date_from" || part === "date_to") return { ...filter, date_from: "", date_to: "" };
	return { ...filter, [part]: "" };
}

export interface DatePreset {
	name: string;
	from: () => string;
	to: () => string;
}

export const DATE_PRESETS: DatePreset[] = [
	{ name: "Any", from: () => "", to: () => "" },
	{ name: "Today", from: () => today(), to: () => today() },
	{ name: "Yesterday", from: () => today(1), to: () => today(1) },
	{ name: "7 days", from: () => today(6), to: () => today() },
	{ name: "30 days", from: () => today(29), to: () => today() },
];

export function presetName(filter: StudyFilter): string {
	const found = DATE_PRESETS.find(
		(preset) => preset.from() === filter.date_from && preset.to() === filter.date_to,
	);
	return found ? found.name : "Range";
}

/** The filter lives in the address, so that back, reload and a copied link keep it. */
export function filterFromSearch(search: string): StudyFilter {
	const query = new URLSearchParams(search);
	const filter = { ...NO_FILTER, modality: query.getAll("modality") };
	for (const key of Object.keys(NO_FILTER) as (keyof StudyFilter)[]) {
		if (key !== "modality") filter[key] = query.get(key) ?? "";
	}
	return filter;
}
