import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fetchSeriesOf, type SeriesSummary, thumbnailUrl } from "../../dicomweb/series";
import { fetchStudiesOfPatient, type StudyRow } from "../../dicomweb/studies";
import { dateText, patientLine, personName, sizeText, timeText } from "../../model/studyText";

/** What one wants to know of a study before opening it. */
export function StudyPanel({ row, onOpen }: { row: StudyRow; onOpen: (uid: string) => void }) {
	return (
		<aside className="panel" aria-label="Selected study">
			<header className="panel-patient">
				<strong>{personName(row.PatientName) || "no name"}</strong>
				<span className="muted">{patientLine(row)}</span>
			</header>
			<section className="panel-study">
				<p>{row.StudyDescription || "no description"}</p>
				<p className="muted">
					{dateText(row.StudyDate)} {timeText(row.StudyTime)} · {row.ModalitiesInStudy.join(", ")} ·{" "}
					{sizeText(row.size_bytes)}
				</p>
				<button
					type="button"
					className="button"
					data-kind="primary"
					onClick={() => onOpen(row.StudyInstanceUID)}
				>
					Open <kbd>Enter</kbd>
				</button>
			</section>
			<SeriesOf key={row.StudyInstanceUID} row={row} />
			<OtherStudies key={`${row.PatientID} ${row.StudyInstanceUID}`} row={row} onOpen={onOpen} />
		</aside>
	);
}

function SeriesOf({ row }: { row: StudyRow }) {
	const { data, error } = useQuery({
		queryKey: ["series", row.StudyInstanceUID, row.NumberOfStudyRelatedInstances],
		queryFn: ({ signal }) => fetchSeriesOf(row.StudyInstanceUID, signal),
		placeholderData: (previous) => previous,
	});
	return (
		<section>
			<h2 className="panel-title">Series</h2>
			{error && <p className="muted">{error.message}</p>}
			<ul className="panel-series">
				{data?.map((series) => (
					<li key={series.SeriesInstanceUID}>
						<Thumbnail study={row.StudyInstanceUID} series={series} />
						<span>
							{series.SeriesNumber && <b>{series.SeriesNumber}</b>}{" "}
							{series.SeriesDescription || series.Modality}
							<span className="muted">
								{series.Modality} · {series.instances}{" "}
								{series.instances === 1 ? "instance" : "instances"}
							</span>
						</span>
					</li>
				))}
			</ul>
		</section>
	);
}

function Thumbnail({ study, series }: { study: string; series: SeriesSummary }) {
	const [failed, setFailed] = useState(false);
	if (failed) return <span className="thumbnail thumbnail-none">{series.Modality || "?"}</span>;
	return (
		<img
			className="thumbnail"
			src={thumbnailUrl(study, series.SeriesInstanceUID)}
			alt=""
			loading="lazy"
			onError={() => setFailed(true)}
		/>
	);
}

function OtherStudies({ row, onOpen }: { row: StudyRow; onOpen: (uid: string) => void }) {
	const { data } = useQuery({
		queryKey: ["of-patient", row.PatientID, row.IssuerOfPatientID],
		queryFn: ({ signal }) => fetchStudiesOfPatient(row, signal),
		enabled: row.PatientID !== "",
	});
	const others = data?.filter((each) => each.StudyInstanceUID !== row.StudyInstanceUID) ?? [];
	if (others.length === 0) return null;
	return (
		<section>
			<h2 className="panel-title">Other studies of this patient</h2>
			<ul className="panel-others">
				{others.map((other) => (
					<li key={other.StudyInstanceUID}>
						<button type="button" onClick={() => onOpen(other.StudyInstanceUID)}>
							<span>{dateText(other.StudyDate) || "no date"}</span>
							<span>{other.ModalitiesInStudy.join(", ")}</span>
							<span className="muted">{other.StudyDescription}</span>
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}
