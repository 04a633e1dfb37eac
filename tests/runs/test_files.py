"""Files and folders that are replaced whole, also where several commands write at once."""

from cnnlab.runs.files import write_atomically


def test_two_writers_of_one_file_do_not_share_a_temporary_one_though_their_process_ids_are_alike(tmp_path):
    path = tmp_path / "model.keras"
    with write_atomically(path) as first, write_atomically(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
