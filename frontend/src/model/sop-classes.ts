/** What kind of object an instance is, by SOP Class, and what to call it (PS3.4 B.5). */

export type Kind =
	| "image"
	| "report"
	| "document"
	| "video"
	| "waveform"
	| "segmentation"
	| "presentation"
	| "radiotherapy"
	| "other";

const STORAGE = "1.2.840.10008.5.1.4.1.1.";

/** Longest prefix wins; a UID that is not here is judged by whether it has pixels. */
const TABLE: readonly (readonly [prefix: string, kind: Kind, name: string])[] = [
	["88.", "report", "Structured report"],
	["88.59", "report", "Key object selection"],
	["104.1", "document", "PDF document"],
	["104.2", "other", "CDA document"],
	["104.3", "other", "STL model"],
	["9.", "waveform", "Waveform"],
	["11.", "presentation", "Presentation state"],
	["66.1", "other", "Spatial registration"],
	["66.2", "other", "Spatial fiducials"],
	["66.3", "other", "Deformable registration"],
	["66.4", "segmentation", "Segmentation"],
	["66.5", "segmentation", "Surface segmentation"],
	["66", "other", "Raw data"],
	["67", "other", "Real world value mapping"],
	["481.1", "image", "RT image"],
	["481.2", "radiotherapy", "RT dose"],
	["481.3", "radiotherapy", "RT structure set"],
	["481.4", "radiotherapy", "RT beams treatment record"],
	["481.5", "radiotherapy", "RT plan"],
	["481.8", "radiotherapy", "RT ion plan"],
	["77.1.1.1", "video", "Video endoscopy"],
	["77.1.2.1", "video", "Video microscopy"],
	["77.1.4.1", "video", "Video photograph"],
	["77.1.6", "other", "Whole slide image"],
	["91.1", "other", "Bulk annotations"],
];

const BY_LENGTH = TABLE.map(([prefix, kind, name]) => ({
	prefix: STORAGE + prefix,
	kind,
	name,
})).sort((a, b) => b.prefix.length - a.prefix.length);

export function sopClass(uid: string, hasPixels: boolean): { kind: Kind; name: string } {
	const row = BY_LENGTH.find(
		({ prefix }) => uid === prefix || uid.startsWith(prefix.endsWith(".") ? prefix : `${prefix}.`),
	);
	if (uid.startsWith("1.2.840.10008.5.1.4.38.") || uid.startsWith("1.2.840.10008.5.1.4.39.")) {
		return { kind: "other", name: "Hanging protocol or colour palette" };
	}
	if (row) return { kind: row.kind, name: row.name };
	return hasPixels
		? { kind: "image", name: "Image" }
		: { kind: "other", name: "Object without an image" };
}
