import type { ReactNode } from "react";
import type { StudyRow } from "../../dicomweb/studies";
import { agoText, dateText, patientLine, personName, timeText } from "../../model/studyText";

export interface Column {
	id: string;
	title: string;
	/** CSS grid track. */
	width: string;
	/** The key the server sorts by; none where sorting makes no sense. */
	sort?: string;
	cell: (row: StudyRow) => ReactNode;
}

function State({ row }: { row: StudyRow }) {
	if (row.state === "receiving") {
		return (
			<span className="state" data-state="receiving">
				<span className="state-mark" aria-hidden="true" />
				receiving
			</span>
		);
	}
	return (
		<span className="state" data-state="complete">
			<span className="state-mark" aria-hidden="true" />
			complete
		</span>
	);
}

/** TABLE: what the list can show; the order here is the order on the first visit. */
export const COLUMNS: Column[] = [
	{ id: "state", title: "State", width: "92px", sort: "state", cell: (row) => <State row={row} /> },
	{
		id: "patient",
		title: "Patient",
		width: "minmax(190px, 2fr)",
		sort: "patient_name",
		cell: (row) => (
			<span className="two-lines">
				<span className="patient-name">{personName(row.PatientName) || "no name"}</span>
				<span className="muted">{patientLine(row)}</span>
			</span>
		),
	},
	{
		id: "date",
		title: "Study date",
		width: "134px",
		sort: "study_date",
		cell: (row) => (
			<>
				{dateText(row.StudyDate) || "—"} <span className="muted">{timeText(row.StudyTime)}</span>
			</>
		),
	},
	{
		id: "modality",
		title: "Modality",
		width: "78px",
		sort: "modalities",
		cell: (row) => row.ModalitiesInStudy.join(", "),
	},
	{
		id: "description",
		title: "Description",
		width: "minmax(110px, 2fr)",
		sort: "study_description",
		cell: (row) => row.StudyDescription,
	},
	{
		id: "body_part",
		title: "Body part",
		width: "minmax(70px, 100px)",
		cell: (row) => row.body_parts.join(", "),
	},
	{
		id: "accession",
		title: "Accession",
		width: "minmax(80px, 120px)",
		sort: "accession_number",
		cell: (row) => row.AccessionNumber,
	},
	{
		id: "images",
		title: "Ser / img",
		width: "78px",
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
		width: "minmax(70px, 140px)",
		sort: "referring_physician",
		cell: (row) => personName(row.ReferringPhysicianName),
	},
	{
		id: "station",
		title: "Station",
		width: "minmax(80px, 120px)",
		cell: (row) => row.stations.join(", "),
	},
	{ id: "source", title: "Source", width: "minmax(64px, 110px)", cell: (row) => row.sender },
	{
		id: "arrived",
		title: "Arrived",
		width: "88px",
		sort: "received_at",
		cell: (row) => (
			<span title={new Date(row.received_at).toLocaleString()}>{agoText(row.received_at)}</span>
		),
	},
];

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
