import { Notice } from "../Notice";

export default function StudyListPage() {
	return <Notice title="The study list is not here yet." />;
}
