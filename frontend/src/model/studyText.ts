/** DICOM text as people read it: names, dates, ages, sizes. Never ambiguous, never guessed. */
import { today } from "../dicomweb/calendar";

export { today };

/** `DOE^JANE^M^DR^` -> `DOE, JANE M`; ideographic group in front of the alphabetic where present. */
export function personName(value: string): string {
	const groups = value.split("=").map(oneGroup).filter(Boolean);
	const [alphabetic, ideographic] = [groups[0] ?? "", groups[1] ?? ""];
	return ideographic ? `${ideographic} (${alphabetic})` : alphabetic;
}

function oneGroup(group: string): string {
	const [family = "", given = "", middle = ""] = group.split("^").map((part) => part.trim());
	const rest = [given, middle].filter(Boolean).join(" ");
	return family && rest ? `${family}, ${rest}` : family || rest;
}

function parts(date: string): [number, number, number] | null {
	const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(date);
	if (!match) return null;
	return [Number(match[1]), Number(match[2]), Number(match[3])];
}

const dateFormat = new Intl.DateTimeFormat(undefined, {
	day: "2-digit",
	month: "short",
	year: "numeric",
	timeZone: "UTC",
});

/** DA -> `12 Mar 1961` in the user's order; text that is no date is shown as it is. */
export function dateText(date: string): string {
	const found = parts(date);
	if (!found) return date;
	return dateFormat.format(Date.UTC(found[0], found[1] - 1, found[2]));
}

/** TM -> `14:05`. */
export function timeText(time: string): string {
	const match = /^(\d{2}):?(\d{2})/.exec(time);
	return match ? `${match[1]}:${match[2]}` : time;
}

/** Age at `on` (DA), as clinicians say it: years, below two years months, below two months days. */
export function ageText(birthDate: string, on: string): string {
	const born = parts(birthDate);
	const then = parts(on);
	if (!born || !then) return "";
	let months = (then[0] - born[0]) * 12 + then[1] - born[1];
	if (then[2] < born[2]) months -= 1;
	if (months < 0) return "";
	if (months >= 24) return `${Math.floor(months / 12)} y`;
	if (months >= 2) return `${months} mo`;
	const days = Math.floor(
		(Date.UTC(then[0], then[1] - 1, then[2]) - Date.UTC(born[0], born[1] - 1, born[2])) /
			86_400_000,
	);
	return `${days} d`;
}

/** `3 min ago`; the exact time belongs into the tooltip. */
export function agoText(moment: string, now = Date.now()): string {
	const seconds = Math.max(0, Math.round((now - Date.parse(moment)) / 1000));
	if (Number.isNaN(seconds)) return "";
	if (seconds < 60) return "just now";
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
	if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
	if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
	return dateFormat.format(Date.parse(moment));
}

export function sizeText(bytes: number): string {
	if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
	if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
	return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Identifier, birth date with age, sex: the second line of every patient. */
export function patientLine(row: {
	PatientID: string;
	PatientBirthDate: string;
	PatientSex: string;
	StudyDate: string;
}): string {
	const age = ageText(row.PatientBirthDate, row.StudyDate || today());
	const birth = row.PatientBirthDate
		? dateText(row.PatientBirthDate) + (age ? ` (${age})` : "")
		: "";
	return [row.PatientID || "no ID", birth, row.PatientSex].filter(Boolean).join(" · ");
}
