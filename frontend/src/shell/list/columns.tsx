import { Check, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { StudyRow } from "../../dicomweb/studies";
import { agoText, personName, sizeText } from "../../model/studyText";
import { DateCell, PatientCell } from "./cells";
import type { FilterPart } from "./filter";

export interface Column {
	id: string;
	title: string;
	/** Pixels: never less; and either a share of what is left or a bound. */
	min: number;
	grow?: number;
	max?: number;
	/** The key the server sorts by. */
	sort: string;
	/** The filter that stands in the head of this column. */
	filter?: FilterPart;
	cell: (row: StudyRow) => ReactNode;
}

/** One word and one shape: a colour alone says nothing. */
function State({ row }: { row: StudyRow }) {
	if (row.alerts.length > 0) {
		return (
			<span
				className="state"
				data-state="attention"
				title={row.alerts.map((alert) => alert.text).join("\n")}
			>
				<TriangleAlert size={12} aria-hidden="true" />
				attention
			</span>
		);
	}
	if (row.state === "receiving") {
		return (
			<span className="state" data-state="receiving">
				receiving {row.NumberOfStudyRelatedInstances}
				<span className="state-bar" aria-hidden="true" />
			</span>
		);
	}
	if (row.state === "read") {
		const when = row.read_at ? `, ${new Date(row.read_at).toLocaleString()}` : "";
		return (
			<span className="state" data-state="read" title={`Read by ${row.read_by}${when}`}>
				<Check size={12} aria-hidden="true" />
				read
			</span>
		);
	}
	return (
		<span className="state" data-state="complete" title="Complete, not read yet">
			<span className="state-mark" aria-hidden="true" />
			complete
		</span>
	);
}

const text = (value: string) => <span title={value}>{value}</span>;

/** TABLE: what the list can show; the order here is the order on the first visit. */
export const COLUMNS: Column[] = [
	{
		id: "state",
		title: "State",
		min: 102,
		max: 102,
		sort: "state",
		filter: "state",
		cell: (row) => <State row={row} />,
	},
	{
		id: "patient",
		title: "Patient",
		min: 240,
		grow: 2.6,
		sort: "patient_name",
		filter: "q",
		cell: (row) => <PatientCell row={row} />,
	},
	{
		id: "date",
		title: "Study date",
		min: 98,
		max: 112,
		sort: "study_date",
		filter: "date",
		cell: (row) => <DateCell row={row} />,
	},
	{
		id: "modality",
		title: "Modality",
		min: 72,
		max: 84,
		sort: "modalities",
		filter: "modality",
		cell: (row) => text(row.ModalitiesInStudy.join(", ")),
	},
	{
		id: "description",
		title: "Description",
		min: 100,
		grow: 2,
		sort: "study_description",
		filter: "description",
		cell: (row) => text(row.StudyDescription),
	},
	{
		id: "body_part",
		title: "Body part",
		min: 60,
		max: 100,
		sort: "body_part",
		filter: "body_part",
		cell: (row) => text(row.body_parts.join(", ")),
	},
	{
		id: "accession",
		title: "Accession",
		min: 72,
		max: 124,
		sort: "accession_number",
		filter: "accession",
		cell: (row) => text(row.AccessionNumber),
	},
	{
		id: "images",
		title: "Ser / img",
		min: 74,
		max: 78,
		sort: "instances",
		cell: (row) => (
			<span className="number">
				{row.NumberOfStudyRelatedSeries} / {row.NumberOfStudyRelatedInstances}
			</span>
		),
	},
	{
		id: "referring",
		title: "Referring",
		min: 64,
		max: 140,
		sort: "referring_physician",
		filter: "referring",
		cell: (row) => text(personName(row.ReferringPhysicianName)),
	},
	{
		id: "station",
		title: "Station",
		min: 72,
		max: 120,
		sort: "station",
		filter: "station",
		cell: (row) => text(row.stations.join(", ")),
	},
	{
		id: "source",
		title: "Source",
		min: 60,
		max: 110,
		sort: "source",
		cell: (row) => text(row.sender),
	},
	{
		id: "arrived",
		title: "Arrived",
		min: 86,
		max: 92,
		sort: "received_at",
		cell: (row) => (
			<span title={new Date(row.received_at).toLocaleString()}>{agoText(row.received_at)}</span>
		),
	},
	{
		id: "size",
		title: "Size",
		min: 66,
		max: 76,
		sort: "size",
		cell: (row) => <span className="number">{sizeText(row.size_bytes)}</span>,
	},
	{
		id: "read_by",
		title: "Read by",
		min: 72,
		max: 120,
		sort: "state",
		cell: (row) => text(row.read_by),
	},
];

const BY_ID = new Map(COLUMNS.map((column) => [column.id, column]));

/** The columns of these ids in this order; ids that no version knows are passed over. */
export function columnsOf(ids: string[]): Column[] {
	const found = [...new Set(ids)].flatMap((id) => BY_ID.get(id) ?? []);
	// Whose images these are is on every screen that shows anything of a patient.
	const patient = BY_ID.get("patient");
	return found.some((column) => column.id === "patient") || !patient ? found : [patient, ...found];
}

export function trackOf(column: Column): string {
	return `minmax(${column.min}px, ${column.grow ? `${column.grow}fr` : `${column.max}px`})`;
}

export const FIRST_SHOWN = [
	"state",
	"patient",
	"date",
	"modality",
	"description",
	"body_part",
	"accession",
	"images",
	"referring",
	"source",
	"arrived",
];
