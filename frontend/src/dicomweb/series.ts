/** Series of a study by QIDO-RS, as much as a list or a strip needs. */
import { RestError, reach } from "./rest";
import { sessionEnded } from "./session-end";

export interface SeriesSummary {
	SeriesInstanceUID: string;
	Modality: string;
	SeriesNumber: string;
	SeriesDescription: string;
	instances: number;
}

type Attribute = { Value?: unknown[] } | undefined;

const text = (attribute: Attribute) => {
	const value = attribute?.Value?.[0];
	return value === undefined || value === null ? "" : String(value);
};

export async function fetchSeriesOf(study: string, signal?: AbortSignal): Promise<SeriesSummary[]> {
	const response = await reach(
		`/dicom-web/studies/${study}/series?includefield=0008103E,00201209`,
		{
			headers: { Accept: "application/dicom+json" },
			credentials: "same-origin",
			signal: signal ?? null,
		},
	);
	if (response.status === 204) return [];
	if (response.status === 401) sessionEnded();
	if (!response.ok) throw new RestError(response.status, "The series cannot be listed.");
	const rows = (await response.json()) as Record<string, Attribute>[];
	return rows
		.map((row) => ({
			SeriesInstanceUID: text(row["0020000E"]),
			Modality: text(row["00080060"]),
			SeriesNumber: text(row["00200011"]),
			SeriesDescription: text(row["0008103E"]),
			instances: Number(text(row["00201209"]) || 0),
		}))
		.sort((a, b) => Number(a.SeriesNumber || 1e9) - Number(b.SeriesNumber || 1e9));
}

/** The server makes exactly this picture ahead. */
export function thumbnailUrl(study: string, series: string): string {
	return `/dicom-web/studies/${study}/series/${series}/thumbnail?viewport=152,112`;
}
