"""Files and folders that are replaced whole, also where several commands write at once."""

from concurrent.futures import ThreadPoolExecutor

from cnnlab.runs.files import numbered_folder, write_atomically


def test_two_writers_of_one_file_do_not_share_a_temporary_one_though_their_process_ids_are_alike(tmp_path):
    path = tmp_path / "model.keras"
    with write_atomically(path) as first, write_atomically(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_all_who_ask_for_a_free_folder_at_once_get_one_each(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(numbered_folder, [tmp_path / "outputs" / "run"] * 8))
    assert {folder.name for folder in folders} == {"run", *(f"run-{number}" for number in range(2, 9))}
    assert all(folder.is_dir() for folder in folders)
