import { CircleDashed, CircleDot, HardDrive, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { RemoteStudy, Transfer } from "../../dicomweb/peers";
import { personName } from "../../model/studyText";
import { isOver, presenceOf, presenceText, settled, transferText } from "../../model/transfer";
import { DateCell, PatientCell } from "./cells";
import type { FilterPart } from "./filter";

export interface RemoteColumn {
	id: string;
	title: string;
	track: string;
	/** What it is sorted by. */
	value: (row: RemoteStudy) => string | number;
	filter?: FilterPart;
	cell: (row: RemoteStudy, transfer: Transfer | undefined) => ReactNode;
}

const text = (value: string) => <span title={value}>{value}</span>;

/** Whether it is here; while it is fetched, how far that is, in the same place. */
function Presence({ row, transfer }: { row: RemoteStudy; transfer: Transfer | undefined }) {
	if (transfer && !isOver(transfer)) {
		const share = transfer.total > 0 ? settled(transfer) / transfer.total : 0;
		return (
			<span className="state fetching" title={transfer.message || undefined}>
				<span>
					{transfer.state === "running" ? "fetching " : ""}
					{transferText(transfer)}
				</span>
				<progress max={1} value={share} aria-label="Fetched" />
			</span>
		);
	}
	const presence = presenceOf(row);
	if (
		transfer &&
		(transfer.state === "failed" || transfer.state === "partly") &&
		presence !== "all"
	) {
		return (
			<span className="state" data-state="attention" title={transfer.message}>
				<TriangleAlert size={12} aria-hidden="true" />
				{transferText(transfer)}
			</span>
		);
	}
	const Shape = presence === "all" ? HardDrive : presence === "none" ? CircleDashed : CircleDot;
	return (
		<span className="state" data-presence={presence}>
			<Shape size={12} aria-hidden="true" />
			{presenceText(row)}
		</span>
	);
}

const counts = (row: RemoteStudy) =>
	row.series === null && row.there === null ? "—" : `${row.series ?? "?"} / ${row.there ?? "?"}`;

/** TABLE: what is shown of a study in another archive. */
export const REMOTE_COLUMNS: RemoteColumn[] = [
	{
		id: "here",
		title: "Here",
		track: "150px",
		value: (row) => (row.here ?? 0) / Math.max(row.there ?? row.here ?? 1, 1),
		cell: (row, transfer) => <Presence row={row} transfer={transfer} />,
	},
	{
		id: "patient",
		title: "Patient",
		track: "minmax(240px, 2.6fr)",
		value: (row) => personName(row.PatientName).toLowerCase(),
		filter: "q",
		cell: (row) => <PatientCell row={row} />,
	},
	{
		id: "date",
		title: "Study date",
		track: "112px",
		value: (row) => `${row.StudyDate} ${row.StudyTime}`,
		filter: "date",
		cell: (row) => <DateCell row={row} />,
	},
	{
		id: "modality",
		title: "Modality",
		track: "92px",
		value: (row) => row.ModalitiesInStudy.join(" "),
		filter: "modality",
		cell: (row) => text(row.ModalitiesInStudy.join(", ")),
	},
	{
		id: "description",
		title: "Description",
		track: "minmax(120px, 2fr)",
		value: (row) => row.StudyDescription.toLowerCase(),
		filter: "description",
		cell: (row) => text(row.StudyDescription),
	},
	{
		id: "accession",
		title: "Accession",
		track: "124px",
		value: (row) => row.AccessionNumber,
		filter: "accession",
		cell: (row) => text(row.AccessionNumber),
	},
	{
		id: "images",
		title: "Ser / img",
		track: "84px",
		value: (row) => row.there ?? -1,
		cell: (row) => <span className="number">{counts(row)}</span>,
	},
	{
		id: "referring",
		title: "Referring",
		track: "140px",
		value: (row) => personName(row.ReferringPhysicianName).toLowerCase(),
		filter: "referring",
		cell: (row) => text(personName(row.ReferringPhysicianName)),
	},
];

export const REMOTE_TRACKS = REMOTE_COLUMNS.map((column) => column.track).join(" ");

/** Sorted as told; "" leaves the order in which the archive answered. */
export function sorted(rows: RemoteStudy[], sort: string): RemoteStudy[] {
	const column = REMOTE_COLUMNS.find((each) => each.id === sort.replace("-", ""));
	if (!column) return rows;
	const sign = sort.startsWith("-") ? -1 : 1;
	return rows.toSorted((one, other) => {
		const [a, b] = [column.value(one), column.value(other)];
		return a === b ? 0 : a < b ? -sign : sign;
	});
}
