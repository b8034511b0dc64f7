@echo off
rem Copies Continuo into this user's plugin folders. No rights of an administrator are needed.
setlocal
set "FROM=%~dp0"
set "COMMON=%LOCALAPPDATA%\Programs\Common"
if "%LOCALAPPDATA%"=="" (
    echo LOCALAPPDATA is not set, so the plugin folders are not known. 1>&2
    exit /b 1
)
call :install "%FROM%Continuo.clap" "%COMMON%\CLAP\Continuo.clap" file || exit /b 1
call :install "%FROM%Continuo.resources" "%COMMON%\CLAP\Continuo.resources" folder || exit /b 1
call :install "%FROM%Continuo.vst3" "%COMMON%\VST3\Continuo.vst3" folder || exit /b 1
echo Continuo is installed. Let your DAW scan its plugins again.
exit /b 0

:install
rem A virus scanner may hold a new file for a moment, so each copy is tried five times.
for %%T in ("%~2\..") do if not exist "%%~fT\" mkdir "%%~fT"
for /l %%N in (1,1,5) do (
    if "%3"=="file" (
        copy /y "%~1" "%~2" >nul 2>nul && goto :copied
    ) else (
        xcopy "%~1" "%~2" /e /i /q /y >nul 2>nul && goto :copied
    )
    ping -n 2 127.0.0.1 >nul 2>nul
)
echo %~2 cannot be written. Close your DAW, check that you may write there, and run this again. 1>&2
exit /b 1

:copied
echo %~2
exit /b 0
