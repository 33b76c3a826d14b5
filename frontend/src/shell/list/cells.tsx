import { dateText, patientLine, personName, timeText } from "../../model/studyText";

/** What a study is known by, whichever archive it is in. */
interface Known {
	PatientName: string;
	PatientID: string;
	PatientBirthDate: string;
	PatientSex: string;
	StudyDate: string;
	StudyTime: string;
}

/** The name, and beneath it identifier, birth date with age, sex. */
export function PatientCell({ row }: { row: Known }) {
	const name = personName(row.PatientName) || "no name";
	return (
		<span className="two-lines" title={`${name}\n${patientLine(row)}`}>
			<span className="patient-name">{name}</span>
			<span className="muted">{patientLine(row)}</span>
		</span>
	);
}

export function DateCell({ row }: { row: Known }) {
	return (
		<span className="two-lines">
			<span>{dateText(row.StudyDate) || "—"}</span>
			<span className="muted">{timeText(row.StudyTime)}</span>
		</span>
	);
}
