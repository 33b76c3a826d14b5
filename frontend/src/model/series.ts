/** The study and its series as QIDO-RS answers, before any metadata is read. */

import { type DataSet, number, personName, text, texts } from "../dicomweb/dicom-json";
import { type Patient, patientOf } from "./patient";
import { Tag } from "./tags";

export interface Study {
	readonly studyInstanceUID: string;
	readonly patient: Patient;
	readonly date: string;
	readonly time: string;
	readonly description: string;
	readonly accessionNumber: string;
	readonly modalities: readonly string[];
	readonly referringPhysician: string;
	readonly numberOfInstances: number | undefined;
}

export interface Series {
	readonly seriesInstanceUID: string;
	readonly number: number | undefined;
	readonly modality: string;
	readonly description: string;
	readonly numberOfInstances: number | undefined;
}

export function studyOf(row: DataSet): Study {
	return {
		studyInstanceUID: text(row, Tag.StudyInstanceUID),
		patient: patientOf(row),
		date: text(row, Tag.StudyDate),
		time: text(row, Tag.StudyTime),
		description: text(row, Tag.StudyDescription),
		accessionNumber: text(row, Tag.AccessionNumber),
		modalities: texts(row, Tag.ModalitiesInStudy),
		referringPhysician: personName(row, Tag.ReferringPhysicianName).Alphabetic ?? "",
		numberOfInstances: number(row, Tag.NumberOfStudyRelatedInstances),
	};
}

export function seriesOf(row: DataSet): Series {
	return {
		seriesInstanceUID: text(row, Tag.SeriesInstanceUID),
		number: number(row, Tag.SeriesNumber),
		modality: text(row, Tag.Modality),
		description: text(row, Tag.SeriesDescription),
		numberOfInstances: number(row, Tag.NumberOfSeriesRelatedInstances),
	};
}

const NOT_IMAGES = new Set([
	"SR",
	"KO",
	"PR",
	"DOC",
	"REG",
	"SEG",
	"RTSTRUCT",
	"RTPLAN",
	"RTDOSE",
	"RTRECORD",
	"ECG",
	"HD",
	"AU",
]);

/** Series with images come first, then by number; the order of the strip. */
export function sortSeries(series: readonly Series[]): Series[] {
	const rank = (each: Series) => (NOT_IMAGES.has(each.modality) ? 1 : 0);
	return [...series].sort(
		(a, b) =>
			rank(a) - rank(b) ||
			(a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER) ||
			a.seriesInstanceUID.localeCompare(b.seriesInstanceUID, "en", { numeric: true }),
	);
}

/** Studies of the same patient, newest first, without those another patient may own. */
export function priorsOf(study: Study, found: readonly Study[]): Study[] {
	const same = (a: string, b: string) => a === "" || b === "" || a === b;
	return found
		.filter(
			(each) =>
				each.patient.id === study.patient.id &&
				same(each.patient.issuer, study.patient.issuer) &&
				same(each.patient.birthDate, study.patient.birthDate),
		)
		.sort((a, b) => (b.date + b.time).localeCompare(a.date + a.time));
}
